# Beyond one to one: few units that predict one (sparse maps), and groups of units (clustering).


rule map_units:
    input:
        activations=plan.tile_activations,
        records=plan.tile_records,
    output:
        maps="<study>/maps/{population}/{layer}/{tile}.npz",
        scores="<study>/maps/{population}/{layer}/{tile}.csv",
    log:
        "<study>/logs/map_units/{population}/{layer}/{tile}.log",
    benchmark:
        "<study>/benchmarks/map_units/{population}/{layer}/{tile}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("map_units"),
        runtime=needs.minutes("map_units"),
    params:
        key=plan.maps_key,
        dump_keys=plan.tile_dump_keys,
        sides=plan.sides,
        published_units=plan.published_units,
        maps=plan.maps_settings,
        halves_seed=plan.draw("halves"),
        maps_seed=plan.draw("maps"),
        study=config["study"],
    message:
        "Predicting the units of {wildcards.layer} from few of another network, {wildcards.population} networks, tile {wildcards.tile}"
    script:
        "../scripts/map_units.py"


rule group_units:
    input:
        statistics="<study>/statistics/{population}/{layer}/{tile}.npz",
        within=plan.within_statistics,
    output:
        groups="<study>/groups/{population}/{layer}/{tile}.npz",
        scores="<study>/groups/{population}/{layer}/{tile}.csv",
    log:
        "<study>/logs/group_units/{population}/{layer}/{tile}.log",
    benchmark:
        "<study>/benchmarks/group_units/{population}/{layer}/{tile}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("group_units"),
        runtime=needs.minutes("group_units"),
    params:
        key=plan.groups_key,
        statistics_key=plan.statistics_key,
        within_keys=plan.within_keys,
        sides=plan.sides,
        threshold=config["groups"]["threshold"],
        counts=config["groups"]["counts"],
        depth=config["groups"]["depth"],
        seed=plan.draw("groups"),
        study=config["study"],
    message:
        "Grouping the units of {wildcards.layer}, {wildcards.population} networks, tile {wildcards.tile}"
    script:
        "../scripts/group_units.py"


rule resample_images:
    input:
        activations=plan.tile_activations,
        records=plan.tile_records,
    output:
        "<study>/resampled/{layer}/{tile}.csv",
    log:
        "<study>/logs/resample_images/{layer}/{tile}.log",
    benchmark:
        "<study>/benchmarks/resample_images/{layer}/{tile}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("resample_images"),
        runtime=needs.minutes("resample_images"),
    params:
        key=plan.resampling_key,
        dump_keys=plan.tile_dump_keys,
        sides=plan.sides,
        draws=config["resampling"]["images"],
        seed=plan.draw("images"),
        threshold=config["groups"]["threshold"],
        information=config["information"],
        maps=plan.maps_settings,
        published_units=plan.published_units,
        costly=plan.costly_redraws,
        halves_seed=plan.draw("halves"),
        maps_seed=plan.draw("maps"),
    message:
        "Drawing the images of {wildcards.layer} with replacement, tile {wildcards.tile}"
    script:
        "../scripts/resample_images.py"
