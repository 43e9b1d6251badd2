//! YAML with positions: documents whose nodes know their bytes, byte patches, scalar style.
