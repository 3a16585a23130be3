# Whole representations: every layer with every other by many measures, controls, calibration, and what it all says.


rule compare_representations:
    input:
        activations=plan.tile_layers,
        records=plan.tile_records,
    output:
        "<study>/similarity/{population}/{tile}.csv",
    log:
        "<study>/logs/compare_representations/{population}/{tile}.log",
    benchmark:
        "<study>/benchmarks/compare_representations/{population}/{tile}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("compare_representations"),
        runtime=needs.minutes("compare_representations"),
    params:
        key=plan.similarity_key,
        dump_keys=plan.tile_dump_keys,
        sides=plan.sides,
        comparing=plan.comparing,
        all_layers=plan.all_layers,
        study=config["study"],
    message:
        "Comparing the representations of {wildcards.population} networks, tile {wildcards.tile}"
    script:
        "../scripts/compare_representations.py"


rule control_similarity:
    input:
        activations=plan.tile_layers,
        records=plan.tile_records,
        untrained_activations=plan.untrained_layers,
        untrained_records=plan.untrained_records,
    output:
        "<study>/similarity/controls/{tile}.csv",
    log:
        "<study>/logs/control_similarity/{tile}.log",
    benchmark:
        "<study>/benchmarks/control_similarity/{tile}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("control_similarity"),
        runtime=needs.minutes("control_similarity"),
    params:
        key=plan.similarity_controls_key,
        dump_keys=plan.tile_dump_keys,
        untrained_dump_keys=plan.untrained_dump_keys,
        sides=plan.sides,
        comparing=plan.comparing,
        noise=config["similarity"]["noise"],
        seed=plan.draw("similarity"),
        study=config["study"],
    message:
        "Asking what measures of similarity notice, tile {wildcards.tile}"
    script:
        "../scripts/control_similarity.py"


rule calibrate_similarity:
    input:
        activations=plan.tile_layers,
        records=plan.tile_records,
    output:
        "<study>/calibration/{population}/{tile}.csv",
    log:
        "<study>/logs/calibrate_similarity/{population}/{tile}.log",
    benchmark:
        "<study>/benchmarks/calibrate_similarity/{population}/{tile}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("calibrate_similarity"),
        runtime=needs.minutes("calibrate_similarity"),
    params:
        key=plan.calibration_key,
        dump_keys=plan.tile_dump_keys,
        sides=plan.sides,
        calibrating=plan.calibrating,
        seed=plan.draw("similarity"),
        study=config["study"],
    message:
        "Calibrating the similarity of {wildcards.population} networks, tile {wildcards.tile}"
    script:
        "../scripts/calibrate_similarity.py"


rule collect_similarity:
    input:
        similarity=plan.similarity_fragments,
        calibration=plan.calibration_fragments,
        networks="<study>/tables/networks.csv",
    output:
        similarity=report(
            "<study>/tables/similarity.csv",
            caption="../report/similarity.rst",
            category="Tables",
            labels={"table": "similarity of all layers"},
        ),
        calibration=report(
            "<study>/tables/calibration.csv",
            caption="../report/calibration.rst",
            category="Tables",
            labels={"table": "calibrated similarity"},
        ),
    log:
        "<study>/logs/collect_similarity.log",
    benchmark:
        "<study>/benchmarks/collect_similarity.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("collect"),
        runtime=needs.minutes("collect"),
    params:
        code=code("collect_similarity"),
        contents=plan.similarity_contents,
    message:
        "Collecting the similarities"
    script:
        "../scripts/collect_similarity.py"


rule draw_similarity:
    input:
        similarity="<study>/tables/similarity.csv",
        calibration="<study>/tables/calibration.csv",
        summary="<study>/tables/summary.csv",
        scores="<study>/scores.csv",
    output:
        figures=[
            report(
                f"<study>/figures/{name}.svg",
                caption=f"../report/{name.partition('/')[0]}.rst",
                category="Similarity",
                labels={"figure": label},
            )
            for name, label in plan.similarity_figures.items()
        ],
        prints=[f"<study>/figures/{name}.png" for name in plan.similarity_figures],
        groundings="<study>/tables/groundings.csv",
        agreement="<study>/tables/measure_agreement.csv",
    log:
        "<study>/logs/draw_similarity.log",
    benchmark:
        "<study>/benchmarks/draw_similarity.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw_tables"),
        runtime=needs.minutes("draw_tables"),
    params:
        code=code("draw_similarity"),
        names=list(plan.similarity_figures),
        measures=config["similarity"]["measures"],
        layers=plan.layers,
        networks=plan.groups[0],
        epochs=plan.epochs,
        probes=list(plan.probes),
    message:
        "Drawing the similarities"
    script:
        "../scripts/draw_similarity.py"
