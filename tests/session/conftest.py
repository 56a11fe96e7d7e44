from broker.conftest import broker, broker_process, nodes, setup_file, state

__all__ = ["broker", "broker_process", "nodes", "setup_file", "state"]
