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


for record in plan.records:

    rule:
        name:
            record.rule
        input:
            # Everything that ends a study, so that this is the last to be written.
            results=record.results,
            config="<study>/config.yaml",
        output:
            record.path,
        log:
            f"<study>/logs/{record.rule}.log",
        benchmark:
            f"<study>/benchmarks/{record.rule}.tsv"
        localrule: True
        conda:
            "../../envs/environment.yaml"
        threads: 1
        resources:
            mem_mb=needs.memory("small"),
            runtime=needs.minutes("small"),
        params:
            config=config,
            seeds=plan.all_seeds(),
            product_keys=record.keys,
            repository=str(plan.repository),
        message:
            "Writing down what made the results"
        script:
            "../scripts/write_provenance.py"
