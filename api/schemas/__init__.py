"""The bodies of requests and answers, as OpenAPI describes them. Each says what a field means and shows an
example."""
