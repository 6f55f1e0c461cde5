"""REST v1: the job service as resources; their OpenAPI document is made from the code."""
