//! Pull requests on GitHub, and what GitHub Actions tells a step.
