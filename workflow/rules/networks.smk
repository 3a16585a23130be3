# Networks that differ in their seed, before and after training, and whether they have learned their task.


# Networks that train together share a job, which has a rule of its own.
for training in plan.trainings:

    rule:
        name:
            training.rule
        input:
            dataset="<study>/data/dataset.json",
            images=f"<study>/data/{plan.images_file}",
            labels="<study>/data/labels.npy",
            splits="<study>/data/splits.npz",
        output:
            weights=collect(
                "<study>/networks/{network}/{population}.safetensors",
                network=training.trained,
                population=plan.stages,
            ),
            histories=collect("<study>/networks/{network}/history.csv", network=training.trained),
        log:
            f"<study>/logs/train_network/{training.job}.log",
        benchmark:
            f"<study>/benchmarks/train_network/{training.job}.tsv"
        wildcard_constraints:
            network=training.pattern,
        conda:
            "../../envs/environment.yaml"
        threads: plan.readers
        resources:
            mem_mb=needs.memory("train_network", networks=len(training.trained)),
            runtime=needs.minutes("train_network", networks=len(training.trained)),
            gpu=needs.gpus,
        params:
            runs=training.runs,
            data_key=plan.data_key,
            training=plan.training,
            checkpoints=plan.checkpoints,
            label_noise_seed=plan.draw("label_noise"),
            device=config["device"],
        message:
            f"Training {training.title}"
        script:
            "../scripts/train_network.py"


rule adopt_network:
    input:
        plan.brought_files,
    output:
        trained="<study>/networks/{network}/trained.safetensors",
        untrained="<study>/networks/{network}/untrained.safetensors",
    log:
        "<study>/logs/adopt_network/{network}.log",
    benchmark:
        "<study>/benchmarks/adopt_network/{network}.tsv"
    wildcard_constraints:
        network=any_of(plan.adopted),
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("adopt_network"),
        runtime=needs.minutes("adopt_network"),
    params:
        key=plan.network_key,
        seeds=plan.seeds,
        architecture=plan.architecture,
        images=plan.image_shape,
        entry=plan.entry,
    message:
        "Taking in {wildcards.network}"
    script:
        "../scripts/adopt_network.py"


rule check_networks:
    input:
        histories=collect("<study>/networks/{network}/history.csv", network=plan.trained_here),
    output:
        report(
            "<study>/tables/networks.csv",
            caption="../report/networks.rst",
            category="Networks",
            labels={"table": "networks"},
        ),
    log:
        "<study>/logs/check_networks.log",
    benchmark:
        "<study>/benchmarks/check_networks.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("small"),
        runtime=needs.minutes("small"),
    params:
        code=code("check_networks"),
        networks=plan.trained_here,
        epochs=config["training"]["epochs"],
        accuracy_floor=config["training"]["accuracy_floor"],
    message:
        "Checking what the networks have learned"
    script:
        "../scripts/check_networks.py"
