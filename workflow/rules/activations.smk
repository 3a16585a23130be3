# What each network answers to the probe images, layer by layer.


rule dump_activations:
    input:
        dataset="<study>/data/dataset.json",
        images=f"<study>/data/{plan.images_file}",
        splits="<study>/data/splits.npz",
        weights=collect("<study>/networks/{{network}}/{population}.safetensors", population=plan.populations),
    output:
        activations=collect(
            "<study>/activations/{{network}}/{population}/{layer}.npy",
            population=plan.populations,
            layer=plan.layers,
        ),
        samples=collect("<study>/activations/{{network}}/{population}/samples.npz", population=plan.populations),
        dumps=collect("<study>/activations/{{network}}/{population}/dump.json", population=plan.populations),
    log:
        "<study>/logs/dump_activations/{network}.log",
    benchmark:
        "<study>/benchmarks/dump_activations/{network}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        key=plan.dump_key,
        data_key=plan.data_key,
        network_key=plan.network_key,
        architecture=config["architecture"],
        layers=plan.layers,
        recording=plan.recording,
        position_seed=plan.draw("positions"),
        device=config["device"],
    message:
        "Dumping the activations of {wildcards.network}"
    script:
        "../scripts/dump_activations.py"
