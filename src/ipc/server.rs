//! The daemon's ends of the FIFOs. (being built)
