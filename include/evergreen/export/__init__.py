"""A version's model for other servers: ONNX, treelite and MLflow, held to its golden sample."""
