# Where activations are not stored: statistics and controls of all layers at once, accumulated while the networks run.


if not plan.stored:

    ruleorder: stream_statistics > compute_statistics
    ruleorder: stream_controls > run_controls

    rule stream_statistics:
        input:
            data=plan.data_files,
            other_data=plan.probe_files,
            weights=plan.tile_weights,
        output:
            collect("<study>/statistics/{{population}}/{layer}/{{tile}}.npz", layer=plan.layers),
        log:
            "<study>/logs/stream_statistics/{population}/{tile}.log",
        benchmark:
            "<study>/benchmarks/stream_statistics/{population}/{tile}.tsv"
        conda:
            "../../envs/environment.yaml"
        threads: plan.readers
        resources:
            mem_mb=needs.memory("stream_statistics"),
            runtime=needs.minutes("stream_statistics"),
            gpu=needs.gpus,
        params:
            statistics_keys=plan.statistics_keys,
            data_key=plan.data_key,
            probe_keys=plan.probe_keys,
            probes=plan.probes,
            runs=plan.tile_runs,
            sides=plan.sides,
            recording=plan.recording,
            position_seed=plan.draw("positions"),
            corruption_seed=plan.draw("corruption"),
            device=config["device"],
        message:
            "Correlating the units of all layers while the networks run, {wildcards.population} networks, tile {wildcards.tile}"
        script:
            "../scripts/stream_statistics.py"

    rule stream_controls:
        input:
            data=plan.data_files,
            weights=plan.tile_weights,
            untrained_weights=plan.untrained_weights,
            statistics=collect("<study>/statistics/trained/{layer}/{{tile}}.npz", layer=plan.layers),
        output:
            collect("<study>/controls/{layer}/{{tile}}.csv", layer=plan.layers),
        log:
            "<study>/logs/stream_controls/{tile}.log",
        benchmark:
            "<study>/benchmarks/stream_controls/{tile}.tsv"
        conda:
            "../../envs/environment.yaml"
        threads: plan.readers
        resources:
            mem_mb=needs.memory("stream_controls"),
            runtime=needs.minutes("stream_controls"),
            gpu=needs.gpus,
        params:
            controls_keys=plan.controls_keys,
            statistics_keys=plan.statistics_keys,
            data_key=plan.data_key,
            runs=plan.tile_runs,
            sides=plan.sides,
            recording=plan.recording,
            position_seed=plan.draw("positions"),
            device=config["device"],
            seeds=plan.controls_seeds,
            study=config["study"],
        message:
            "Running the controls that need no samples, tile {wildcards.tile}"
        script:
            "../scripts/stream_controls.py"
