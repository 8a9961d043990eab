//! The pure core, tested without processes, clocks or sleeping.

mod audit;
mod endings;
mod exhaustive;
mod lockstep;
mod revisions;
mod rules;
mod scene;
mod snapshots;
mod world;
