"""Neutron's own parts between a guest and the metadata door, run with the sandbox's Python and not by our own.

    neutron_parts.py proxy --network ID --address A --port P --socket S --folder D    (writes haproxy's file)
    neutron_parts.py agent --socket S --door PORT --secret S --ports URL --token T    (serves the agent's socket)

The agent asks for ports over HTTP here and not over RPC: the sandbox's Neutron has no message bus that others can join.
All that it does with the answer, and all that it sends on, is its own.
"""

import argparse
import sys

import requests
from neutron.agent.metadata import agent, driver, proxy_base
from neutron.common import config
from neutron.conf.agent.metadata import config as meta
from oslo_config import cfg

parser = argparse.ArgumentParser()
parser.add_argument("part", choices=["proxy", "agent"])
for name in ("network", "router", "address", "port", "socket", "folder", "door", "secret", "ports", "token"):
    parser.add_argument(f"--{name}")
args = parser.parse_args()

config.register_common_config_options()
for options in (
    meta.SHARED_OPTS,
    meta.UNIX_DOMAIN_METADATA_PROXY_OPTS,
    meta.METADATA_PROXY_HANDLER_OPTS,
):
    meta.register_meta_conf_opts(options)
meta.register_meta_conf_opts(meta.METADATA_RATE_LIMITING_OPTS, cfg.CONF, "metadata_rate_limiting")
meta.register_meta_conf_opts(meta.METADATA_HAPROXY_OPTS, cfg.CONF, "metadata_haproxy")
cfg.CONF([], project="neutron", default_config_files=[])
cfg.CONF.set_override("metadata_proxy_socket", args.socket)


def proxy() -> None:
    cfg.CONF.set_override("state_path", args.folder)
    made = driver.MetadataDriver._get_haproxy_configurator(
        args.address,
        args.port,
        cfg.CONF,
        network_id=args.network,
        router_id=args.router,
        pid_file=f"{args.folder}/pid",
    )
    made.create_config_file()
    print(made.cfg_path)


class Ports:
    """What the agent asks Neutron's server for."""

    def get_ports(self, context, filters):
        query = [(name, value) for name, values in filters.items() if name != "fixed_ips" for value in values]
        for address in filters.get("fixed_ips", {}).get("ip_address", ()):
            query.append(("fixed_ips", f"ip_address={address}"))
        answer = requests.get(args.ports, params=query, headers={"X-Auth-Token": args.token}, timeout=60)
        answer.raise_for_status()
        return answer.json()["ports"]


def serve_agent() -> None:
    cfg.CONF.set_override("metadata_proxy_shared_secret", args.secret)
    cfg.CONF.set_override("nova_metadata_host", "127.0.0.1")
    cfg.CONF.set_override("nova_metadata_port", int(args.door))
    agent.MetadataPluginAPI = lambda topic: Ports()
    agent.MetadataProxyHandler._conf = cfg.CONF
    proxy_base.MetadataProxyServer(2, args.socket, agent.MetadataProxyHandler).serve_forever()


sys.exit(proxy() if args.part == "proxy" else serve_agent())
