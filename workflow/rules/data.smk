# The dataset: images, labels, and the split into training, validation and probe images.


rule fetch_data:
    input:
        plan.users_files,
    output:
        dataset="<study>/data/dataset.json",
        images=f"<study>/data/{plan.images_file}",
        labels="<study>/data/labels.npy",
        splits="<study>/data/splits.npz",
    log:
        "<study>/logs/fetch_data.log",
    benchmark:
        "<study>/benchmarks/fetch_data.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("small"),
        runtime=needs.minutes("small"),
    params:
        key=plan.data_key,
        dataset=config["dataset"],
        seed=plan.draw("data"),
    message:
        "Preparing the images"
    script:
        "../scripts/fetch_data.py"


# Other images that the trained networks are shown as well.
for probe, images in plan.other_data.items():

    rule:
        name:
            f"fetch_probe_{probe}"
        output:
            dataset=f"<study>/probes/{probe}/dataset.json",
            images=f"<study>/probes/{probe}/{images}",
            labels=f"<study>/probes/{probe}/labels.npy",
            splits=f"<study>/probes/{probe}/splits.npz",
        log:
            f"<study>/logs/fetch_{probe}.log",
        benchmark:
            f"<study>/benchmarks/fetch_{probe}.tsv"
        localrule: True
        conda:
            "../../envs/environment.yaml"
        threads: 1
        resources:
            mem_mb=needs.memory("small"),
            runtime=needs.minutes("small"),
        params:
            key=plan.probe_keys[probe],
            dataset=plan.probes[probe]["dataset"],
            seed=plan.draw("data"),
        message:
            f"Preparing the images of {probe}"
        script:
            "../scripts/fetch_data.py"
