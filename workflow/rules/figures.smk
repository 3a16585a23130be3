# Figures, each from a table or from matrices that are files of their own.


rule draw_training_curves:
    input:
        histories=collect("<study>/networks/{network}/history.csv", network=plan.networks),
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
        mem_mb=1000,
        runtime=10,
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
        mem_mb=1000,
        runtime=10,
    params:
        code=code("draw_alignment_by_depth"),
    message:
        "Drawing alignment against depth"
    script:
        "../scripts/draw_alignment_by_depth.py"


rule draw_matching_curves:
    input:
        statistics=collect("<study>/statistics/trained/{layer}/1-1.npz", layer=plan.layers),
        assignments=collect("<study>/alignment/trained/{layer}/1-1.npz", layer=plan.layers),
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
        mem_mb=1000,
        runtime=10,
    params:
        code=code("draw_matching_curves"),
        layers=plan.layers,
        networks=plan.groups[0],
        product_keys=plan.first_tile_keys(),
    message:
        "Drawing the partners of each unit"
    script:
        "../scripts/draw_matching_curves.py"


rule draw_information:
    input:
        statistics=collect("<study>/statistics/trained/{layer}/1-1.npz", layer=plan.layers),
        assignments=collect("<study>/alignment/trained/{layer}/1-1.npz", layer=plan.layers),
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
        mem_mb=1000,
        runtime=10,
    params:
        code=code("draw_information"),
        layers=plan.layers,
        networks=plan.groups[0],
        product_keys=plan.first_tile_keys(),
        information_keys=plan.first_information_keys(),
    message:
        "Drawing mutual information against correlation"
    script:
        "../scripts/draw_information.py"


rule draw_correlation_matrices:
    input:
        statistics=collect("<study>/statistics/trained/{layer}/1-1.npz", layer=plan.layers),
        assignments=collect("<study>/alignment/trained/{layer}/1-1.npz", layer=plan.layers),
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
        mem_mb=1000,
        runtime=10,
    params:
        code=code("draw_correlation_matrices"),
        layers=plan.layers,
        networks=plan.groups[0],
        product_keys=plan.first_tile_keys(),
    message:
        "Drawing the correlation matrices"
    script:
        "../scripts/draw_correlation_matrices.py"
