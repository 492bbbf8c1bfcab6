//! Every image and tool a run needs: pinned, pulled from registries or built from source, cached by recipe.

pub mod model;
