# From activations to scores: correlations and mutual information of all units, matching of each pair, controls.


rule compute_statistics:
    input:
        activations=plan.tile_activations,
        records=plan.tile_records,
    output:
        "<study>/statistics/{population}/{layer}/{tile}.npz",
    log:
        "<study>/logs/compute_statistics/{population}/{layer}/{tile}.log",
    benchmark:
        "<study>/benchmarks/compute_statistics/{population}/{layer}/{tile}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("compute_statistics"),
        runtime=needs.minutes("compute_statistics"),
    params:
        key=plan.statistics_key,
        sides=plan.sides,
        dump_keys=plan.tile_dump_keys,
    message:
        "Correlating the units of {wildcards.layer}, {wildcards.population} networks, tile {wildcards.tile}"
    script:
        "../scripts/compute_statistics.py"


rule align_units:
    input:
        statistics=collect("<study>/statistics/{{population}}/{layer}/{{tile}}.npz", layer=plan.layers),
    output:
        assignments=collect("<study>/alignment/{{population}}/{layer}/{{tile}}.npz", layer=plan.layers),
        scores="<study>/alignment/{population}/{tile}.csv",
    log:
        "<study>/logs/align_units/{population}/{tile}.log",
    benchmark:
        "<study>/benchmarks/align_units/{population}/{tile}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("align_units"),
        runtime=needs.minutes("align_units"),
    params:
        product_keys=plan.alignment_keys,
        sides=plan.sides,
        layers=plan.layers,
        study=config["study"],
    message:
        "Matching the units of {wildcards.population} networks, tile {wildcards.tile}"
    script:
        "../scripts/align_units.py"


rule measure_information:
    input:
        activations=plan.tile_activations,
        records=plan.tile_records,
        statistics="<study>/statistics/{population}/{layer}/{tile}.npz",
    output:
        information="<study>/information/{population}/{layer}/{tile}.npz",
        scores="<study>/information/{population}/{layer}/{tile}.csv",
    log:
        "<study>/logs/measure_information/{population}/{layer}/{tile}.log",
    benchmark:
        "<study>/benchmarks/measure_information/{population}/{layer}/{tile}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("measure_information"),
        runtime=needs.minutes("measure_information"),
    params:
        key=plan.information_key,
        statistics_key=plan.statistics_key,
        dump_keys=plan.tile_dump_keys,
        sides=plan.sides,
        bins=config["information"]["bins"],
        bias_correction=config["information"]["bias_correction"],
        study=config["study"],
    message:
        "Measuring the mutual information of the units of {wildcards.layer}, {wildcards.population} networks, tile {wildcards.tile}"
    script:
        "../scripts/measure_information.py"


rule run_controls:
    input:
        activations=plan.tile_activations,
        records=plan.tile_records,
        untrained_activations=plan.untrained_activations,
        untrained_records=plan.untrained_records,
    output:
        "<study>/controls/{layer}/{tile}.csv",
    log:
        "<study>/logs/run_controls/{layer}/{tile}.log",
    benchmark:
        "<study>/benchmarks/run_controls/{layer}/{tile}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("run_controls"),
        runtime=needs.minutes("run_controls"),
    params:
        key=plan.controls_key,
        sides=plan.sides,
        dump_keys=plan.tile_dump_keys,
        untrained_dump_keys=plan.untrained_dump_keys,
        shuffles=config["controls"]["shuffles"],
        threshold=config["groups"]["threshold"],
        seed=plan.controls_seed,
        study=config["study"],
    message:
        "Running the controls of {wildcards.layer}, tile {wildcards.tile}"
    script:
        "../scripts/run_controls.py"


rule collect_scores:
    input:
        fragments=plan.score_fragments,
        redrawn=plan.resampled,
        similarity="<study>/tables/similarity.csv",
        calibration="<study>/tables/calibration.csv",
        networks="<study>/tables/networks.csv",
    output:
        scores=report(
            "<study>/scores.csv",
            caption="../report/scores.rst",
            category="Tables",
            labels={"table": "all scores"},
        ),
        summary=report(
            "<study>/tables/summary.csv",
            caption="../report/summary.rst",
            category="Tables",
            labels={"table": "spread over pairs"},
        ),
        draws="<study>/tables/draws.csv",
    log:
        "<study>/logs/collect_scores.log",
    benchmark:
        "<study>/benchmarks/collect_scores.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("collect"),
        runtime=needs.minutes("collect"),
    params:
        code=code("collect_scores"),
        contents=plan.score_contents,
        redrawn_contents=plan.resampled_contents,
        layers=plan.layers,
    message:
        "Collecting the scores"
    script:
        "../scripts/collect_scores.py"
