"""Plans of the statements that the service runs, as PostgreSQL makes them once for all values (the generic plan).

With enable_seqscan off: where one store is most of a table, reading the table may rightly cost less than reading its index, and
which store is large here depends on the tests before. So a Seq Scan that is left is one for which there is no index.

    plans = Plans(platform, tmp_path)
    plans.explain("ORDER_GET", store_id, order_id)          # the plan's top node, with buffers
    plans.scanned("ORDER_GET", store_id, order_id)          # tables that are read row by row
"""

import subprocess

from .platform import ROOT


def nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def buffers(plan):
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


class Plans:
    def __init__(self, platform, directory, service="store-data"):
        program = directory / "statements"
        subprocess.run(["gcc", "-std=c11", "-w", f"-I{ROOT}/services/{service}", f"-iquote{ROOT}/libshared",
                        str(ROOT / "tests" / "bench" / "statements.c"), "-o",
                        str(program)], check=True)
        listed = subprocess.run([program], check=True, capture_output=True, text=True).stdout
        self.statements = dict(line.split("\t", 1) for line in listed.splitlines())
        self.connection = platform.postgres.connect(service.replace("-", "_"))
        self.prepared = set()
        self.run("set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set statement_timeout = 0")

    def run(self, sql, arguments=None):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, arguments)
            return cursor.fetchall() if cursor.description else None

    def explain(self, name, *arguments, analyze=True):
        """Arguments are texts, or None. What is explained is rolled back."""
        if name not in self.prepared:
            self.run(f"prepare {name} as {self.statements[name].replace('%', '%%')}", ())
            self.prepared.add(name)
        values = ", ".join(["%s"] * len(arguments))
        options = "analyze, buffers, format json" if analyze else "format json"
        self.run("begin")
        try:
            texts = [None if value is None else str(value) for value in arguments]
            return self.run(f"explain ({options}) execute {name}{f'({values})' if values else ''}", texts)[0][0][0]["Plan"]
        finally:
            self.run("rollback")

    def scanned(self, name, *arguments, analyze=False):
        return {node["Relation Name"] for node in nodes(self.explain(name, *arguments, analyze=analyze)) if node["Node Type"] == "Seq Scan"}
