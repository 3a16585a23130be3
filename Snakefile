# Convergent learning: do networks trained from different seeds learn the same units?
#
# data -> networks -> activations -> statistics -> alignment -> scores -> figures -> report
#
# The stages are in workflow/rules, in this order; what they run is in workflow/scripts; what those call is the
# library in workflow/convergent.

from snakemake.utils import min_version

min_version("9.19")


# A config given on the command line stands alone: it is completed from the schema, not merged with the default study.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml" if os.path.exists("config.yaml") else f"{workflow.basedir}/config.yaml"


report: "workflow/report/study.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/activations.smk"
include: "workflow/rules/alignment.smk"
include: "workflow/rules/streaming.smk"
include: "workflow/rules/mappings.smk"
include: "workflow/rules/similarity.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/pictures.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/noise.smk"
include: "workflow/rules/dynamics.smk"
include: "workflow/rules/provenance.smk"


# Not worth submitting, or, as downloads, not possible where computing nodes have no internet.
localrules:
    all,
    noise,
    dynamics,
    everything,
    fetch_data,
    check_networks,
    record_config,


rule all:
    default_target: True
    input:
        plan.results,
        "<study>/provenance.json",


# Alignment against noise and sample size, a study of its own (Umar & Laio 2026).
rule noise:
    input:
        plan.noise.results,
        "<study>/noise/provenance.json",


# Learning dynamics of very different architectures, another (van Rossem & Saxe 2024).
rule dynamics:
    input:
        plan.dynamics.results,
        "<study>/dynamics/provenance.json",


# All three, with their claims on one page.
rule everything:
    input:
        rules.all.input,
        rules.noise.input,
        rules.dynamics.input,
        "<study>/ledger.html",


onsuccess:
    print(plan.guide(study_folder))


onerror:
    print(plan.mistakes(study_folder, since=started))
