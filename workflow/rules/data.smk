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
        mem_mb=1000,
        runtime=60,
    params:
        key=plan.data_key,
        dataset=config["dataset"],
        seed=plan.draw("data"),
    message:
        "Preparing the images"
    script:
        "../scripts/fetch_data.py"
