# The ledger: what was claimed, what was measured, the verdict.


rule judge_claims:
    input:
        scores="<study>/scores.csv",
        draws="<study>/tables/draws.csv",
        claims=workflow.source_path("../claims.yaml"),
        published=workflow.source_path("../reference/li2016.csv"),
    output:
        claims=report(
            "<study>/claims.csv",
            caption="../report/claims.rst",
            category="Claims",
            labels={"table": "claims"},
        ),
    log:
        "<study>/logs/judge_claims.log",
    benchmark:
        "<study>/benchmarks/judge_claims.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("collect"),
        runtime=needs.minutes("collect"),
    params:
        code=code("judge_claims"),
        layers=plan.layers,
        convolutional=lambda wildcards: plan.convolutional_layers,
        regime=plan.regime,
        network_draws=config["resampling"]["networks"],
        seed=plan.draw("networks"),
        meaningless=plan.meaningless_baselines,
    message:
        "Judging the claims"
    script:
        "../scripts/judge_claims.py"


# The claims of each study on a page, and those of all of them.
for page in plan.pages:

    rule:
        name:
            page.rule
        input:
            claims=page.claims,
            figures=page.prints,
        output:
            report(
                page.path,
                caption=page.caption,
                category=page.category,
                labels={"table": "every claim with its verdict and figure"},
            ),
        log:
            f"<study>/logs/{page.rule}.log",
        benchmark:
            f"<study>/benchmarks/{page.rule}.tsv"
        localrule: True
        conda:
            "../../envs/environment.yaml"
        threads: 1
        resources:
            mem_mb=needs.memory("small"),
            runtime=needs.minutes("small"),
        params:
            code=code("write_claims_page"),
            names=page.figures,
            studies=page.studies,
            notes=page.notes,
        message:
            "Writing the page of claims"
        script:
            "../scripts/write_claims_page.py"
