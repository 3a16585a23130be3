# Pictures of units: which to draw, what excites them, and the figures made of them.


rule choose_examples:
    input:
        statistics=collect("<study>/statistics/trained/{layer}/1-1.npz", layer=plan.layers),
        alignment=collect("<study>/alignment/trained/{layer}/1-1.npz", layer=plan.layers),
        information=collect("<study>/information/trained/{layer}/1-1.npz", layer=plan.layers),
        groups=collect("<study>/groups/trained/{layer}/1-1.npz", layer=plan.layers),
        maps=collect("<study>/maps/trained/{layer}/1-1.npz", layer=plan.mapped_layers),
        networks="<study>/tables/networks.csv",
    output:
        "<study>/tables/examples.csv",
    log:
        "<study>/logs/choose_examples.log",
    benchmark:
        "<study>/benchmarks/choose_examples.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        key=plan.examples_key,
        layers=plan.layers,
        mapped_layers=plan.mapped_layers,
        drawn_networks=plan.drawn_networks,
        networks=plan.groups[0],
        product_keys=plan.first_tile_keys(*EXAMPLE_STAGES),
    message:
        "Choosing the units that are drawn"
    script:
        "../scripts/choose_examples.py"


rule picture_units:
    input:
        examples="<study>/tables/examples.csv",
        dataset="<study>/data/dataset.json",
        images=f"<study>/data/{plan.images_file}",
        splits="<study>/data/splits.npz",
        weights="<study>/networks/{network}/trained.safetensors",
        record="<study>/activations/{network}/trained/dump.json",
        activations=collect("<study>/activations/{{network}}/trained/{layer}.npy", layer=plan.layers),
    output:
        "<study>/pictures/{network}.npz",
    log:
        "<study>/logs/picture_units/{network}.log",
    benchmark:
        "<study>/benchmarks/picture_units/{network}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("picture_units"),
        runtime=needs.minutes("picture_units"),
        gpu=needs.gpus,
    params:
        key=plan.pictures_key,
        examples_key=plan.examples_key,
        data_key=plan.data_key,
        network_key=plan.network_key,
        dump_key=plan.dump_key,
        architecture=plan.architecture,
        layers=plan.layers,
        images=config["pictures"]["images"],
        device=config["device"],
    message:
        "Finding what excites units of {wildcards.network}"
    script:
        "../scripts/picture_units.py"


rule draw_unit_pairs:
    input:
        examples="<study>/tables/examples.csv",
        pictures=collect("<study>/pictures/{network}.npz", network=plan.groups[0][:2]),
    output:
        figures=[
            report(
                f"<study>/figures/unit_pairs/{layer}.svg",
                caption="../report/unit_pairs.rst",
                category="Pictures of units",
                labels={"figure": f"best and worst pairs of units, {layer}"},
            )
            for layer in plan.layers
        ],
        prints=collect("<study>/figures/unit_pairs/{layer}.png", layer=plan.layers),
    log:
        "<study>/logs/draw_unit_pairs.log",
    benchmark:
        "<study>/benchmarks/draw_unit_pairs.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_units"),
        examples_key=plan.examples_key,
        figure="unit_pairs",
        layers=plan.layers,
        networks=plan.groups[0][:2],
        pictures_keys=plan.pictures_keys(plan.groups[0][:2]),
    message:
        "Drawing best and worst pairs of units"
    script:
        "../scripts/draw_units.py"


rule draw_unit_pairs_information:
    input:
        examples="<study>/tables/examples.csv",
        pictures=collect("<study>/pictures/{network}.npz", network=plan.groups[0][:2]),
    output:
        figures=[
            report(
                f"<study>/figures/unit_pairs_information/{layer}.svg",
                caption="../report/unit_pairs_information.rst",
                category="Pictures of units",
                labels={"figure": f"best and worst pairs by mutual information, {layer}"},
            )
            for layer in plan.early_layers
        ],
        prints=collect("<study>/figures/unit_pairs_information/{layer}.png", layer=plan.early_layers),
    log:
        "<study>/logs/draw_unit_pairs_information.log",
    benchmark:
        "<study>/benchmarks/draw_unit_pairs_information.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_units"),
        examples_key=plan.examples_key,
        figure="unit_pairs_information",
        layers=plan.early_layers,
        networks=plan.groups[0][:2],
        pictures_keys=plan.pictures_keys(plan.groups[0][:2]),
    message:
        "Drawing best and worst pairs by mutual information"
    script:
        "../scripts/draw_units.py"


rule draw_unit_groups:
    input:
        examples="<study>/tables/examples.csv",
        pictures=collect("<study>/pictures/{network}.npz", network=plan.groups[0][:2]),
    output:
        figures=[
            report(
                f"<study>/figures/unit_groups/{layer}.svg",
                caption="../report/unit_groups.rst",
                category="Pictures of units",
                labels={"figure": f"groups of units, {layer}"},
            )
            for layer in plan.layers
        ],
        prints=collect("<study>/figures/unit_groups/{layer}.png", layer=plan.layers),
    log:
        "<study>/logs/draw_unit_groups.log",
    benchmark:
        "<study>/benchmarks/draw_unit_groups.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_units"),
        examples_key=plan.examples_key,
        figure="unit_groups",
        layers=plan.layers,
        networks=plan.groups[0][:2],
        pictures_keys=plan.pictures_keys(plan.groups[0][:2]),
    message:
        "Drawing groups of units"
    script:
        "../scripts/draw_units.py"


rule draw_unit_predictors:
    input:
        examples="<study>/tables/examples.csv",
        pictures=collect("<study>/pictures/{network}.npz", network=plan.groups[0][:2]),
    output:
        figures=[
            report(
                f"<study>/figures/unit_predictors/{layer}.svg",
                caption="../report/unit_predictors.rst",
                category="Pictures of units",
                labels={"figure": f"units and the few that predict them, {layer}"},
            )
            for layer in plan.mapped_layers
        ],
        prints=collect("<study>/figures/unit_predictors/{layer}.png", layer=plan.mapped_layers),
    log:
        "<study>/logs/draw_unit_predictors.log",
    benchmark:
        "<study>/benchmarks/draw_unit_predictors.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_units"),
        examples_key=plan.examples_key,
        figure="unit_predictors",
        layers=plan.mapped_layers,
        networks=plan.groups[0][:2],
        pictures_keys=plan.pictures_keys(plan.groups[0][:2]),
    message:
        "Drawing units and the few that predict them"
    script:
        "../scripts/draw_units.py"


rule draw_activity_extremes:
    input:
        examples="<study>/tables/examples.csv",
        pictures=collect("<study>/pictures/{network}.npz", network=plan.drawn_networks),
    output:
        figures=[
            report(
                f"<study>/figures/activity_extremes/{layer}.svg",
                caption="../report/activity_extremes.rst",
                category="Pictures of units",
                labels={"figure": f"the most and the least active units, {layer}"},
            )
            for layer in plan.layers
        ],
        prints=collect("<study>/figures/activity_extremes/{layer}.png", layer=plan.layers),
    log:
        "<study>/logs/draw_activity_extremes.log",
    benchmark:
        "<study>/benchmarks/draw_activity_extremes.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_units"),
        examples_key=plan.examples_key,
        figure="activity_extremes",
        layers=plan.layers,
        networks=plan.drawn_networks,
        pictures_keys=plan.pictures_keys(plan.drawn_networks),
    message:
        "Drawing the most and the least active units"
    script:
        "../scripts/draw_units.py"


rule draw_filters:
    input:
        statistics=collect("<study>/statistics/trained/{layer}/1-1.npz", layer=plan.layers[:1]),
        alignment=collect("<study>/alignment/trained/{layer}/1-1.npz", layer=plan.layers[:1]),
        pictures=collect("<study>/pictures/{network}.npz", network=plan.groups[0][:2]),
    output:
        figure=[
            report(
                "<study>/figures/filters.svg",
                caption="../report/filters.rst",
                category="Pictures of units",
                labels={"figure": "filters of the first layer"},
            ),
            "<study>/figures/filters.png",
        ],
    log:
        "<study>/logs/draw_filters.log",
    benchmark:
        "<study>/benchmarks/draw_filters.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_filters"),
        layers=plan.layers[:1],
        networks=plan.groups[0][:2],
        pictures_keys=plan.pictures_keys(plan.groups[0][:2]),
        product_keys=plan.first_tile_keys("statistics", "alignment"),
    message:
        "Drawing the filters of the first layer"
    script:
        "../scripts/draw_filters.py"
