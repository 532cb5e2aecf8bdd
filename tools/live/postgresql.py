# SPDX-License-Identifier: Apache-2.0
import os

from common import Live, need


class Postgresql(Live):
    """One process a connection; the postmaster and its helpers live on."""
    name = "postgresql"
    source = "postgresql-15"
    packages = ("postgresql-15", "postgresql-client-15", "libpq5")
    forks = True
    workers = 1
    user = "nobody"

    def prepare(self):
        for d in ("data", "run"):
            self.directory(d, owner=self.user, mode=0o700)
        os.chmod(self.root, 0o755)
        self.bin = self.path("usr/lib/postgresql/15/bin")
        self.client = [self.bin + "/psql", "-h", self.path("run"), "-p", self.port, "-U", self.user, "-d", "postgres", "-X", "-A", "-t"]
        # Timezone and locale data come from this machine; nothing else does.
        init = self.spawn([self.bin + "/initdb", "-D", self.path("data"), "-A", "trust", "-U", self.user, "--no-sync",
                           "--locale=C", "-E", "UTF8"], user=self.user)
        init.wait()
        self.started.remove(init)
        need(init.returncode == 0, "initdb: " + self.log_tail())

    def start(self):
        self.spawn([self.bin + "/postgres", "-D", self.path("data"), "-p", self.port, "-k", self.path("run"), "-h", "127.0.0.1",
                    "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "autovacuum_naptime=5s"], user=self.user)

    def sql(self, text):
        return self.run([*self.client, "-c", text]).strip().splitlines()[-1]

    def request(self):
        need(self.sql("create table if not exists t (id serial primary key, v text, j jsonb); insert into t (v, j) values ('a', '{\"k\": [1, 2]}');"
                      "select (select count(*) > 0 from t) and (select j->'k'->>1 from t limit 1) = '2'") == "t", "SELECT")

    def check(self):
        self.request()
        need(self.sql("select string_agg(x::text, ',' order by x desc) from generate_series(1, 5) x") == "5,4,3,2,1", "aggregate")
        need(self.sql("select regexp_replace('aab', 'a+', 'c') || to_char(date '2024-02-29' + interval '1 year', 'YYYY-MM-DD')") == "cb2025-02-28", "expressions")
        need(self.sql("with recursive r(n) as (select 1 union all select n + 1 from r where n < 100) select sum(n) from r") == "5050", "recursion")
