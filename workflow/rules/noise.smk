# Noise and sample size: alignment against the signal-to-noise ratio and the number of training samples.


rule measure_noise:
    output:
        "<study>/noise/{protocol}/{size}.csv",
    log:
        "<study>/logs/measure_noise/{protocol}/{size}.log",
    benchmark:
        "<study>/benchmarks/measure_noise/{protocol}/{size}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("measure_noise"),
        runtime=needs.minutes("measure_noise"),
    params:
        key=plan.noise.key,
        scale=plan.noise.scale,
        seed=plan.noise.seed,
    message:
        "Training {wildcards.protocol} networks on {wildcards.size} noisy samples"
    script:
        "../scripts/measure_noise.py"


rule judge_noise:
    input:
        measured=plan.noise.fragments,
        claims=workflow.source_path("../noise_claims.yaml"),
    output:
        table=report(
            "<study>/noise/noise.csv",
            caption="../report/noise.rst",
            category="Noise and sample size",
            labels={"table": "all values"},
        ),
        criteria=report(
            "<study>/noise/criteria.csv",
            caption="../report/noise_criteria.rst",
            category="Noise and sample size",
            labels={"table": "criteria"},
        ),
        claims=report(
            "<study>/noise/claims.csv",
            caption="../report/noise_claims.rst",
            category="Noise and sample size",
            labels={"table": "claims"},
        ),
    log:
        "<study>/logs/judge_noise.log",
    benchmark:
        "<study>/benchmarks/judge_noise.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("further_tables"),
        runtime=needs.minutes("further_tables"),
    params:
        code=code("judge_noise"),
        contents=plan.noise.contents,
        scale=plan.noise.scale,
        seed=plan.noise.seed,
    message:
        "Judging the claims about noise and sample size"
    script:
        "../scripts/judge_noise.py"


rule draw_noise:
    input:
        table="<study>/noise/noise.csv",
        criteria="<study>/noise/criteria.csv",
    output:
        figures=[
            report(
                f"<study>/figures/{name}.svg",
                caption=f"../report/noise_{name.split('/')[1]}.rst",
                category="Noise and sample size",
                labels={"figure": label},
            )
            for name, label in plan.noise.figures.items()
        ],
        prints=[f"<study>/figures/{name}.png" for name in plan.noise.figures],
    log:
        "<study>/logs/draw_noise.log",
    benchmark:
        "<study>/benchmarks/draw_noise.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("further_tables"),
        runtime=needs.minutes("further_tables"),
    params:
        code=code("draw_noise"),
        names=list(plan.noise.figures),
    message:
        "Drawing alignment against noise and sample size"
    script:
        "../scripts/draw_noise.py"
