# What each network answers to the probe images, layer by layer.


# Networks that give the same files share a rule: a study of one architecture has one.
for recording in plan.recordings(run_here=True):

    rule:
        name:
            f"dump_activations{recording.suffix}"
        input:
            data=plan.data_files,
            other_data=plan.other_data_files,
            weights=collect("<study>/networks/{{network}}/{stage}.safetensors", stage=recording.stages),
        output:
            activations=recording.activations,
            samples=recording.samples,
            dumps=recording.dumps,
        log:
            "<study>/logs/dump_activations/{network}.log",
        benchmark:
            "<study>/benchmarks/dump_activations/{network}.tsv"
        wildcard_constraints:
            network=recording.pattern,
        conda:
            "../../envs/environment.yaml"
        threads: plan.readers
        resources:
            mem_mb=needs.memory("dump_activations"),
            runtime=needs.minutes("dump_activations"),
            gpu=needs.gpus,
        params:
            key=plan.dump_key,
            data_key=plan.data_key,
            network_key=plan.network_key,
            probe_keys=plan.probe_keys,
            architecture=plan.architecture,
            standardisation=plan.standardisation,
            layers=plan.layers_of,
            recording=plan.recording,
            probes=plan.probes,
            position_seed=plan.draw("positions"),
            corruption_seed=plan.draw("corruption"),
            device=config["device"],
        message:
            "Dumping the activations of {wildcards.network}"
        script:
            "../scripts/dump_activations.py"


for recording in plan.recordings(run_here=False):

    rule:
        name:
            f"adopt_activations{recording.suffix}"
        input:
            brought=plan.brought_files,
            data=plan.data_files,
        output:
            activations=recording.activations,
            samples=recording.samples,
            dumps=recording.dumps,
        log:
            "<study>/logs/adopt_activations/{network}.log",
        benchmark:
            "<study>/benchmarks/adopt_activations/{network}.tsv"
        wildcard_constraints:
            network=recording.pattern,
        conda:
            "../../envs/environment.yaml"
        threads: 1
        resources:
            mem_mb=needs.memory("adopt_activations"),
            runtime=needs.minutes("adopt_activations"),
        params:
            key=plan.dump_key,
            data_key=plan.shown_data_key,
            layers=plan.layers_of,
            taking=plan.taking,
            position_seed=plan.draw("positions"),
            entry=plan.entry,
        message:
            "Taking in the activations of {wildcards.network}"
        script:
            "../scripts/adopt_activations.py"
