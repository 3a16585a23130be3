# What was run: the complete configuration at the start, everything else when the results are there.


rule record_config:
    output:
        "<study>/config.yaml",
    log:
        "<study>/logs/record_config.log",
    benchmark:
        "<study>/benchmarks/record_config.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("small"),
        runtime=needs.minutes("small"),
    params:
        config=config,
        origin=f"{ORIGIN}{config_file}",
    message:
        "Writing down the configuration"
    script:
        "../scripts/record_config.py"


rule write_provenance:
    input:
        # Everything that ends a study, so that it is the last to be written.
        [path for path in plan.results if not path.endswith("provenance.json")],
    output:
        "<study>/provenance.json",
    log:
        "<study>/logs/write_provenance.log",
    benchmark:
        "<study>/benchmarks/write_provenance.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("small"),
        runtime=needs.minutes("small"),
    params:
        config=config,
        seeds=plan.all_seeds(),
        product_keys=plan.all_keys(),
        repository=str(plan.repository),
    message:
        "Writing down what made the results"
    script:
        "../scripts/write_provenance.py"
