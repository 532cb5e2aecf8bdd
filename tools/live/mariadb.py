# SPDX-License-Identifier: Apache-2.0
import time

from common import Live, need


class Mariadb(Live):
    name = "mariadb"
    source = "mariadb"
    packages = ("mariadb-server-core", "mariadb-client-core")
    also = ("mariadb-server", "mariadb-common")
    workers = 1

    def prepare(self):
        data = self.directory("data")
        self.socket = self.path("db.sock")
        self.base = ["--no-defaults", "--datadir=" + data, "--user=root", "--lc-messages-dir=" + self.path("usr/share/mysql"),
                     "--character-sets-dir=" + self.path("usr/share/mysql/charsets"), "--tmpdir=" + self.root,
                     "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M",
                     "--plugin-dir=" + self.path("usr/lib/mysql/plugin")]
        share = self.path("usr/share/mysql")
        sql = "create database mysql;\nuse mysql;\n"
        for name in ("mysql_system_tables.sql", "mysql_system_tables_data.sql"):
            with open(f"{share}/{name}") as f:
                sql += f.read()
        self.write("bootstrap.sql", "create database if not exists mysql;\nuse mysql;\nset @auth_root_socket=NULL;\n" + sql.split("use mysql;\n", 1)[1])
        with open(self.path("bootstrap.sql")) as f:
            self.run([self.path("usr/sbin/mariadbd"), *self.base, "--bootstrap", "--skip-grant-tables"], stdin=f)

    def start(self):
        self.spawn([self.path("usr/sbin/mariadbd"), *self.base, "--skip-grant-tables", "--bind-address=127.0.0.1",
                    f"--port={self.port}", "--socket=" + self.socket, "--pid-file=" + self.path("db.pid")])

    def sql(self, text):
        return self.run([self.path("usr/bin/mariadb"), "--no-defaults", "--socket=" + self.socket, "-N", "-B",
                         "--character-sets-dir=" + self.path("usr/share/mysql/charsets"), "-e", text]).strip()

    def request(self):
        need(self.sql("create database if not exists d; create table if not exists d.t (id int auto_increment primary key, v varchar(50), k int, key(k));"
                      "insert into d.t (v, k) values ('a', 1), ('b', 2); select count(*) > 1 from d.t where k in (1, 2)") == "1", "SELECT")

    def check(self):
        self.request()
        need(self.sql("select json_value('{\"a\": 5}', '$.a'), group_concat(v order by v separator '') from (select distinct v from d.t) x") == "5\tab", "JSON, grouping")
        need(self.sql("set @x = 3; select @x * 2, regexp_replace('aab', 'a+', 'c'), date_add('2024-02-28', interval 1 day)") == "6\tcb\t2024-02-29", "expressions")
        need(self.sql("select count(*) from d.t a join d.t b using (k) where a.id = b.id") != "0", "a join")
        need(self.sql("start transaction; delete from d.t where id = 1; rollback; select count(*) >= 0 from d.t") == "1", "a rollback")
