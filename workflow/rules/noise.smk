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
        mem_mb=2000,
        runtime=60,
    params:
        key=plan.noise_key,
        scale=config["noise"]["scale"],
        seed=plan.draw("noise"),
    message:
        "Training {wildcards.protocol} networks on {wildcards.size} noisy samples"
    script:
        "../scripts/measure_noise.py"


rule judge_noise:
    input:
        measured=plan.noise_fragments,
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
        markdown="<study>/noise/claims.md",
    log:
        "<study>/logs/judge_noise.log",
    benchmark:
        "<study>/benchmarks/judge_noise.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("judge_noise"),
        contents=plan.noise_contents,
        draws=config["resampling"]["networks"],
        seed=plan.draw("noise"),
    message:
        "Judging the claims about noise and sample size"
    script:
        "../scripts/judge_noise.py"


rule draw_noise:
    input:
        table="<study>/noise/noise.csv",
        criteria="<study>/noise/criteria.csv",
        claims="<study>/noise/claims.csv",
    output:
        figures=[
            report(
                f"<study>/figures/{name}.svg",
                caption=f"../report/noise_{name.split('/')[1]}.rst",
                category="Noise and sample size",
                labels={"figure": label},
            )
            for name, label in plan.noise_figures.items()
        ],
        prints=[f"<study>/figures/{name}.png" for name in plan.noise_figures],
        page=report(
            "<study>/noise/claims.html",
            caption="../report/noise_claims.rst",
            category="Noise and sample size",
            labels={"table": "every claim with its verdict and figure"},
        ),
    log:
        "<study>/logs/draw_noise.log",
    benchmark:
        "<study>/benchmarks/draw_noise.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("draw_noise"),
        names=list(plan.noise_figures),
    message:
        "Drawing alignment against noise and sample size"
    script:
        "../scripts/draw_noise.py"
