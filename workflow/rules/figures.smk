# Figures, each from a table or from matrices that are files of their own.


rule draw_training_curves:
    input:
        histories=collect("<study>/networks/{network}/history.csv", network=plan.trained_here),
        networks="<study>/tables/networks.csv",
    output:
        figure=report(
            "<study>/figures/training_curves.svg",
            caption="../report/training_curves.rst",
            category="Networks",
            labels={"figure": "learning curves"},
        ),
        print="<study>/figures/training_curves.png",
        table="<study>/tables/training.csv",
    log:
        "<study>/logs/draw_training_curves.log",
    benchmark:
        "<study>/benchmarks/draw_training_curves.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_training_curves"),
    message:
        "Drawing the learning curves"
    script:
        "../scripts/draw_training_curves.py"


rule draw_alignment_by_depth:
    input:
        summary="<study>/tables/summary.csv",
        published=workflow.source_path("../reference/li2016.csv"),
    output:
        figure=report(
            "<study>/figures/alignment_by_depth.svg",
            caption="../report/alignment_by_depth.rst",
            category="Alignment",
            labels={"figure": "alignment against depth"},
        ),
        print="<study>/figures/alignment_by_depth.png",
        table="<study>/tables/alignment_by_depth.csv",
    log:
        "<study>/logs/draw_alignment_by_depth.log",
    benchmark:
        "<study>/benchmarks/draw_alignment_by_depth.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_alignment_by_depth"),
    message:
        "Drawing alignment against depth"
    script:
        "../scripts/draw_alignment_by_depth.py"


rule draw_matching_curves:
    input:
        statistics=collect("<study>/statistics/trained/{layer}/1-1.npz", layer=plan.layers),
        alignment=collect("<study>/alignment/trained/{layer}/1-1.npz", layer=plan.layers),
        networks="<study>/tables/networks.csv",
    output:
        figure=report(
            "<study>/figures/matching_curves.svg",
            caption="../report/matching_curves.rst",
            category="Alignment",
            labels={"figure": "partners of each unit"},
        ),
        print="<study>/figures/matching_curves.png",
        table="<study>/tables/matching_curves.csv",
    log:
        "<study>/logs/draw_matching_curves.log",
    benchmark:
        "<study>/benchmarks/draw_matching_curves.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_matching_curves"),
        layers=plan.layers,
        networks=plan.groups[0],
        product_keys=plan.first_tile_keys("statistics", "alignment"),
    message:
        "Drawing the partners of each unit"
    script:
        "../scripts/draw_matching_curves.py"


rule draw_information:
    input:
        statistics=collect("<study>/statistics/trained/{layer}/1-1.npz", layer=plan.layers),
        alignment=collect("<study>/alignment/trained/{layer}/1-1.npz", layer=plan.layers),
        information=collect("<study>/information/trained/{layer}/1-1.npz", layer=plan.layers),
        networks="<study>/tables/networks.csv",
    output:
        figure=report(
            "<study>/figures/information.svg",
            caption="../report/information.rst",
            category="Alignment",
            labels={"figure": "mutual information against correlation"},
        ),
        print="<study>/figures/information.png",
        table="<study>/tables/information.csv",
    log:
        "<study>/logs/draw_information.log",
    benchmark:
        "<study>/benchmarks/draw_information.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_information"),
        layers=plan.layers,
        networks=plan.groups[0],
        product_keys=plan.first_tile_keys("statistics", "alignment", "information"),
    message:
        "Drawing mutual information against correlation"
    script:
        "../scripts/draw_information.py"


rule draw_correlation_matrices:
    input:
        statistics=collect("<study>/statistics/trained/{layer}/1-1.npz", layer=plan.layers),
        alignment=collect("<study>/alignment/trained/{layer}/1-1.npz", layer=plan.layers),
        networks="<study>/tables/networks.csv",
    output:
        figures=[
            report(
                f"<study>/figures/correlation_matrices/{layer}.svg",
                caption="../report/correlation_matrices.rst",
                category="Alignment",
                labels={"figure": f"correlation matrices, {layer}"},
            )
            for layer in plan.layers
        ],
        prints=collect("<study>/figures/correlation_matrices/{layer}.png", layer=plan.layers),
    log:
        "<study>/logs/draw_correlation_matrices.log",
    benchmark:
        "<study>/benchmarks/draw_correlation_matrices.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_correlation_matrices"),
        layers=plan.layers,
        networks=plan.groups[0],
        product_keys=plan.first_tile_keys("statistics", "alignment"),
    message:
        "Drawing the correlation matrices"
    script:
        "../scripts/draw_correlation_matrices.py"


rule draw_sparse_maps:
    input:
        scores="<study>/scores.csv",
        published=workflow.source_path("../reference/li2016.csv"),
        maps=collect("<study>/maps/trained/{layer}/1-1.npz", layer=plan.mapped_layers),
    output:
        loss=[
            report(
                "<study>/figures/sparse_prediction.svg",
                caption="../report/sparse_prediction.rst",
                category="Sparse maps",
                labels={"figure": "loss against decay"},
            ),
            "<study>/figures/sparse_prediction.png",
        ],
        few=[
            report(
                "<study>/figures/few_predictors.svg",
                caption="../report/few_predictors.rst",
                category="Sparse maps",
                labels={"figure": "what few predictors are worth"},
            ),
            "<study>/figures/few_predictors.png",
        ],
        schematic=[
            report(
                "<study>/figures/mapping_layers.svg",
                caption="../report/mapping_layers.rst",
                category="Sparse maps",
                labels={"figure": "where the maps stand"},
            ),
            "<study>/figures/mapping_layers.png",
        ],
        figures=[
            report(
                f"<study>/figures/sparse_maps/{layer}.svg",
                caption="../report/sparse_maps.rst",
                category="Sparse maps",
                labels={"figure": f"weights, {layer}"},
            )
            for layer in plan.mapped_layers
        ],
        prints=collect("<study>/figures/sparse_maps/{layer}.png", layer=plan.mapped_layers),
        maps_table="<study>/tables/sparse_prediction.csv",
        refits_table="<study>/tables/few_predictors.csv",
    log:
        "<study>/logs/draw_sparse_maps.log",
    benchmark:
        "<study>/benchmarks/draw_sparse_maps.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_sparse_maps"),
        layers=plan.mapped_layers,
        networks=plan.groups[0],
        product_keys=plan.first_tile_keys("maps"),
    message:
        "Drawing the sparse maps"
    script:
        "../scripts/draw_sparse_maps.py"


rule draw_groups:
    input:
        statistics=collect("<study>/statistics/trained/{layer}/1-1.npz", layer=plan.layers),
        groups=collect("<study>/groups/trained/{layer}/1-1.npz", layer=plan.layers),
        networks="<study>/tables/networks.csv",
    output:
        figures=[
            report(
                f"<study>/figures/{name}/{layer}.svg",
                caption=f"../report/{name}.rst",
                category="Groups",
                labels={"figure": f"{label}, {layer}"},
            )
            for layer in plan.layers
            for name, label in (("groups", "groups"), ("group_hierarchy", "groups within groups"))
        ],
        prints=[
            f"<study>/figures/{name}/{layer}.png" for layer in plan.layers for name in ("groups", "group_hierarchy")
        ],
    log:
        "<study>/logs/draw_groups.log",
    benchmark:
        "<study>/benchmarks/draw_groups.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_groups"),
        networks=plan.groups[0],
        product_keys=plan.first_tile_keys("statistics", "groups"),
    message:
        "Drawing the groups of units"
    script:
        "../scripts/draw_groups.py"


rule draw_activity:
    input:
        statistics=collect("<study>/statistics/trained/{layer}/1-1.npz", layer=plan.layers),
        alignment=collect("<study>/alignment/trained/{layer}/1-1.npz", layer=plan.layers),
        networks="<study>/tables/networks.csv",
    output:
        spectra=[
            report(
                "<study>/figures/activation_spectra.svg",
                caption="../report/activation_spectra.rst",
                category="Activity",
                labels={"figure": "sorted mean activations"},
            ),
            "<study>/figures/activation_spectra.png",
        ],
        matched=[
            report(
                "<study>/figures/matched_activity.svg",
                caption="../report/matched_activity.rst",
                category="Activity",
                labels={"figure": "activity of matched units"},
            ),
            "<study>/figures/matched_activity.png",
        ],
        spectra_table="<study>/tables/activation_spectra.csv",
        matched_table="<study>/tables/matched_activity.csv",
    log:
        "<study>/logs/draw_activity.log",
    benchmark:
        "<study>/benchmarks/draw_activity.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_activity"),
        layers=plan.layers,
        networks=plan.groups[0],
        product_keys=plan.first_tile_keys("statistics", "alignment"),
    message:
        "Drawing the activity of units"
    script:
        "../scripts/draw_activity.py"


rule draw_joint_activations:
    input:
        statistics=collect("<study>/statistics/trained/{layer}/1-1.npz", layer=plan.early_layers),
        alignment=collect("<study>/alignment/trained/{layer}/1-1.npz", layer=plan.early_layers),
        activations=plan.first_pair_activations,
        records=plan.first_pair_records,
    output:
        figure=[
            report(
                "<study>/figures/joint_activations.svg",
                caption="../report/joint_activations.rst",
                category="Alignment",
                labels={"figure": "joint activations of pairs"},
            ),
            "<study>/figures/joint_activations.png",
        ],
    log:
        "<study>/logs/draw_joint_activations.log",
    benchmark:
        "<study>/benchmarks/draw_joint_activations.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("draw"),
        runtime=needs.minutes("draw"),
    params:
        code=code("draw_joint_activations"),
        layers=plan.early_layers,
        dump_keys=plan.first_pair_dump_keys(),
        product_keys=plan.first_tile_keys("statistics", "alignment"),
    message:
        "Drawing joint activations"
    script:
        "../scripts/draw_joint_activations.py"
