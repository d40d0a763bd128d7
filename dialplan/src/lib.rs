//! The XML dialplan: provenance of text, expansion, hunting, dial strings.
