# Apache License 2.0 (see LICENSE)
"""What a database or message broker would refuse later, asked beforehand and said in sentences."""

from __future__ import annotations

import ssl
import traceback

try:
    import amqp
    import pymysql

    MISSING = None
except ImportError:
    MISSING = traceback.format_exc()

SECONDS = 20
REFUSED = 1045
NOT_OPEN = (1044, 1049)


def problems(database, messages):
    """One sentence for each thing that is in the way of either, none where all is well."""
    found = of_database(**database) if database else []
    for place in (messages or {}).get("hosts", []):
        found += of_broker(place, messages["user"], messages["password"], messages["ca"])
    return found


def of_database(host, port, user, password, names, ca):
    """What is wrong with a MariaDB or MySQL."""
    place, found = f"the database at {host}:{port}", []
    with_tls = {"ssl": {"ca": ca}} if ca else {"ssl_disabled": True}
    login = {"host": host, "port": port, "user": user, "password": password, "connect_timeout": SECONDS}
    for name in names:
        try:
            connection = pymysql.connect(database=name, **login, **with_tls)
        except pymysql.err.OperationalError as error:
            code, words = error.args
            if code in NOT_OPEN:
                found.append(f"{place} has no {name}, or does not open it to {user}")
                continue
            if code == REFUSED:
                return [
                    f"{place} does not let {user} in with this password (or, where it asks for TLS, without it)"
                ]
            return [f"{place} cannot be talked to: {words}"]
        with connection, connection.cursor() as cursor:
            if ca and not value(cursor, "SHOW STATUS LIKE 'Ssl_cipher'"):
                return [f"{place} speaks no TLS"]
            if value(cursor, "SHOW VARIABLES LIKE 'innodb_snapshot_isolation'") == "ON":
                return [
                    f"{place} has innodb_snapshot_isolation on, with which Nova and Neutron fail; turn it off"
                ]
    return found


def value(cursor, question):
    """The second column of the one row that answers, if one does."""
    cursor.execute(question)
    row = cursor.fetchone()
    return row[1] if row else None


def of_broker(place, user, password, ca):
    """What is wrong with one host of a RabbitMQ."""
    name = place.rpartition(":")[0].strip("[]")
    with_tls = {"ca_certs": ca, "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": name} if ca else False
    login = {"userid": user, "password": password, "connect_timeout": SECONDS, "read_timeout": SECONDS}
    try:
        with amqp.Connection(host=place, ssl=with_tls, **login) as connection:
            connection.channel().queue_declare(exclusive=True)  # gone with the connection
    except amqp.exceptions.AccessRefused as error:
        return [
            f"RabbitMQ at {place} does not let {user} in with this password, or make queues: {error.reply_text}"
        ]
    except (OSError, amqp.exceptions.AMQPError) as error:
        return [f"RabbitMQ at {place} cannot be talked to: {error}"]
    return []
