//! What moves from one environment to the next: a promotion, decided from what the overlays state.
