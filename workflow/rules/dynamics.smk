# Learning dynamics: very different architectures against one effective theory of two points drawing apart.


rule train_dynamics:
    input:
        plan.dynamics.data,
    output:
        "<study>/dynamics/runs/{experiment}/{case}.npz",
    log:
        "<study>/logs/train_dynamics/{experiment}/{case}.log",
    benchmark:
        "<study>/benchmarks/train_dynamics/{experiment}/{case}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("train_dynamics"),
        runtime=needs.minutes("train_dynamics"),
    params:
        key=plan.dynamics.key,
        data_key=plan.dynamics.shown_data_key,
        scale=plan.dynamics.scale,
        seed=plan.dynamics.seed,
    message:
        "Training networks of {wildcards.experiment}, {wildcards.case}"
    script:
        "../scripts/train_dynamics.py"


rule fit_dynamics:
    input:
        "<study>/dynamics/runs/{experiment}/{case}.npz",
    output:
        fits="<study>/dynamics/fits/{experiment}/{case}.csv",
        curves="<study>/dynamics/curves/{experiment}/{case}.csv",
    log:
        "<study>/logs/fit_dynamics/{experiment}/{case}.log",
    benchmark:
        "<study>/benchmarks/fit_dynamics/{experiment}/{case}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("further_tables"),
        runtime=needs.minutes("further_tables"),
    params:
        key=plan.dynamics.fit_key,
        run_key=plan.dynamics.key,
    message:
        "Fitting the theory to {wildcards.experiment}, {wildcards.case}"
    script:
        "../scripts/fit_dynamics.py"


rule collect_dynamics:
    input:
        runs=plan.dynamics.runs,
        fits=plan.dynamics.fitted("fits"),
        curves=plan.dynamics.fitted("curves"),
    output:
        **{
            name: report(
                f"<study>/dynamics/{name}.csv",
                caption="../report/dynamics.rst",
                category="Learning dynamics",
                labels={"table": name.replace("_", " ")},
            )
            for name in plan.dynamics.tables
        },
    log:
        "<study>/logs/collect_dynamics.log",
    benchmark:
        "<study>/benchmarks/collect_dynamics.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("further_tables"),
        runtime=needs.minutes("further_tables"),
    params:
        code=code("collect_dynamics"),
        names=plan.dynamics.names,
        run_keys=plan.dynamics.run_keys,
        fit_contents=plan.dynamics.fit_contents,
        curve_contents=plan.dynamics.curve_contents,
    message:
        "Collecting what the networks did"
    script:
        "../scripts/collect_dynamics.py"


rule judge_dynamics:
    input:
        **{name: f"<study>/dynamics/{name}.csv" for name in plan.dynamics.tables},
        claims=workflow.source_path("../dynamics_claims.yaml"),
    output:
        criteria=report(
            "<study>/dynamics/criteria.csv",
            caption="../report/dynamics_criteria.rst",
            category="Learning dynamics",
            labels={"table": "criteria"},
        ),
        claims=report(
            "<study>/dynamics/claims.csv",
            caption="../report/dynamics_claims.rst",
            category="Learning dynamics",
            labels={"table": "claims"},
        ),
    log:
        "<study>/logs/judge_dynamics.log",
    benchmark:
        "<study>/benchmarks/judge_dynamics.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("further_tables"),
        runtime=needs.minutes("further_tables"),
    params:
        code=code("judge_dynamics"),
        tables=plan.dynamics.tables,
        scale=plan.dynamics.scale,
        seed=plan.dynamics.seed,
    message:
        "Judging the claims about learning dynamics"
    script:
        "../scripts/judge_dynamics.py"


rule draw_dynamics:
    input:
        **{name: f"<study>/dynamics/{name}.csv" for name in plan.dynamics.tables},
    output:
        figures=[
            report(
                f"<study>/figures/{name}.svg",
                caption=f"../report/dynamics_{name.split('/')[1]}.rst",
                category="Learning dynamics",
                labels={"figure": label},
            )
            for name, label in plan.dynamics.figures.items()
        ],
        prints=[f"<study>/figures/{name}.png" for name in plan.dynamics.figures],
    log:
        "<study>/logs/draw_dynamics.log",
    benchmark:
        "<study>/benchmarks/draw_dynamics.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory("further_tables"),
        runtime=needs.minutes("further_tables"),
    params:
        code=code("draw_dynamics"),
        names=list(plan.dynamics.figures),
        tables=plan.dynamics.tables,
    message:
        "Drawing the learning dynamics"
    script:
        "../scripts/draw_dynamics.py"
