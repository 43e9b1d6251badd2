//! What ops return and emit, as bytes: terminal, JSON, GitHub Actions.
