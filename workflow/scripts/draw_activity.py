"""Sorted mean activations of every network, and the activity of matched units."""

import pandas as pd
from job import logged
from products import aligned_layers

from convergent.activity import MATCHED_COLUMNS, SPECTRUM_COLUMNS, matched_units, spectrum
from convergent.figures.activity import activation_spectra, matched_activity
from convergent.figures.style import save
from convergent.statistics import units_of
from convergent.tables import write_table

with logged(snakemake):
    output, (a, b), spectra, matched = snakemake.output, snakemake.params.networks[:2], [], []
    for layer, statistics, alignment in aligned_layers(snakemake):
        units = units_of(statistics)
        for network, own in units.items():
            spectra += spectrum(layer, network, own)
        match, between = alignment[f"match/{a}/{b}"], statistics[f"between/{a}/{b}"]
        matched += matched_units(layer, units[a], units[b], between, match)
    write_table(output.spectra_table, SPECTRUM_COLUMNS, spectra)
    write_table(output.matched_table, MATCHED_COLUMNS, matched)
    save(activation_spectra(pd.DataFrame(spectra, columns=SPECTRUM_COLUMNS)), output.spectra)
    save(matched_activity(pd.DataFrame(matched, columns=MATCHED_COLUMNS), (a, b)), output.matched)
