//! One directory, and what may befall it.
