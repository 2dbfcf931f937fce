"""`peer dashboard`: Prometheus and Grafana for the peers of this machine."""
