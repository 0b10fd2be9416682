"""Swift's cache kept in the one process there is, in place of memcached."""

import time


class Cache:
    """The calls that Swift's middleware makes on its memcached ring."""

    def __init__(self):
        self.items = {}

    def get(self, key, raise_on_error=False):
        value, until = self.items.get(key, (None, 0))
        if until and until < time.time():
            self.items.pop(key, None)
            return None
        return value

    def set(self, key, value, serialize=True, time=0, min_compress_len=0, raise_on_error=False):
        self.items[key] = (value, _until(time))

    def incr(self, key, delta=1, time=0):
        value = max(0, int(self.get(key) or 0) + delta)
        self.items[key] = (value, _until(time))
        return value

    def decr(self, key, delta=1, time=0):
        return self.incr(key, -delta, time)

    def delete(self, key, server_key=None):
        self.items.pop(key, None)

    def set_multi(self, mapping, server_key, serialize=True, time=0, min_compress_len=0):
        for key, value in mapping.items():
            self.set(key, value, time=time)

    def get_multi(self, keys, server_key):
        return [self.get(key) for key in keys]


def _until(seconds):
    return time.time() + float(seconds) if seconds else 0


def filter_factory(_global, **_local):
    """What paste asks for."""
    cache = Cache()

    def make(app):
        def call(environ, start_response):
            environ["swift.cache"] = cache
            return app(environ, start_response)

        return call

    return make
