"""The real things behind key providers, or the closest that runs here, with faults to switch on."""
