"""The document as a Postman collection (format 2.1): a folder for each section and tag, credentials as variables of the
collection."""

import re

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
VARIABLES = {"baseUrl": "http://127.0.0.1:8080", "access_token": "", "client_id": "", "client_secret": "", "store_id": "",
             "merchant_token": "", "developer_token": "", "admin_token": ""}
TOKENS = {"appToken": "access_token", "merchantToken": "merchant_token", "developerToken": "developer_token", "adminToken": "admin_token"}


def follow(root, node):
    while isinstance(node, dict) and "$ref" in node:
        target = root
        for step in node["$ref"][2:].split("/"):
            target = target[step]
        node = target
    return node


def text(value):
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


class Collection:
    """dump: writes a JSON value as the document is written."""

    def __init__(self, root, dump):
        self.root, self.dump = root, dump

    def whole(self):
        info = self.root["info"]
        return {"info": {"name": info["title"], "version": info["version"], "description": info["description"], "schema": SCHEMA},
                "item": [{"name": group["name"], "item": [self.folder(tag) for tag in group["tags"]]} for group in self.root["x-tagGroups"]],
                "variable": [{"key": name, "value": value, "type": "string"} for name, value in VARIABLES.items()]}

    def folder(self, tag):
        description = next((node.get("description", "") for node in self.root["tags"] if node["name"] == tag), "")
        return {"name": tag, "description": description,
                "item": [self.item(path, method, node) for path, item in self.root["paths"].items()
                         for method, node in item.items() if node.get("tags", [None])[0] == tag]}

    def item(self, path, method, node):
        request = self.request(path, method, node)
        answers = []
        for status, response in node["responses"].items():
            content = follow(self.root, response).get("content", {})
            example = next((kind["example"] for kind in content.values() if "example" in kind), None)
            if status.isdigit() and example is not None:
                answers.append({"name": f"{status} {follow(self.root, response)['description']}", "originalRequest": request, "code": int(status),
                                "header": [{"key": "Content-Type", "value": next(iter(content))}],
                                "body": example if isinstance(example, str) else self.dump(example)})
        return {"name": node["summary"], "request": request, "response": answers}

    def request(self, path, method, node):
        parameters = [follow(self.root, each) for each in node.get("parameters", [])]
        steps = re.sub(r"\{(\w+)\}", r":\1", path).strip("/").split("/")
        query = [{"key": each["name"], "value": text(self.value(each)), "description": each.get("description", ""), "disabled": not each.get("required")}
                 for each in parameters if each["in"] == "query"]
        raw = "{{baseUrl}}/" + "/".join(steps)
        url = {"raw": raw, "host": ["{{baseUrl}}"], "path": steps, "query": query,
               "variable": [{"key": each["name"], "value": text(self.value(each)), "description": each.get("description", "")}
                            for each in parameters if each["in"] == "path"]}
        headers = [{"key": each["name"], "value": "", "description": each.get("description", ""), "disabled": True}
                   for each in parameters if each["in"] == "header"]
        request = {"method": method.upper(), "url": url, "description": node["description"], "auth": {"type": "noauth"}, "header": headers}
        self.authorise(request, node["security"])
        self.add_body(request, node.get("requestBody", {}).get("content", {}))
        return request

    def value(self, parameter):
        schema = follow(self.root, parameter["schema"])
        return next((each for each in (parameter.get("example"), *schema.get("examples", [])[:1], schema.get("default")) if each is not None), None)

    def authorise(self, request, security):
        """The first way that the operation takes; of apps also client credentials, switched off."""
        for scheme in list(security[0])[:1] if security else []:
            node, token = self.root["components"]["securitySchemes"][scheme], "{{" + TOKENS[scheme] + "}}"
            if node["type"] == "http":
                request["auth"] = {"type": "bearer", "bearer": [{"key": "token", "value": token, "type": "string"}]}
            else:
                request["header"].append({"key": node["name"], "value": token})
        for requirement in security[1:]:
            for scheme in requirement if len(requirement) > 1 else []:
                name = self.root["components"]["securitySchemes"][scheme]["name"]
                request["header"].append({"key": name, "value": "{{" + name[2:].lower().replace("-", "_") + "}}", "disabled": True,
                                          "description": "Instead of the token, with the other two."})

    def add_body(self, request, content):
        if not content:
            return
        kind, node = next(((kind, node) for kind, node in content.items() if "json" in kind), next(iter(content.items())))
        request["header"].append({"key": "Content-Type", "value": kind})
        fields = follow(self.root, node.get("schema", {})).get("properties", {})
        if kind == "application/x-www-form-urlencoded":
            request["body"] = {"mode": "urlencoded", "urlencoded": [{"key": name, "value": text(node.get("example", {}).get(name))} for name in fields]}
        elif kind == "multipart/form-data":
            request["header"].pop()                     # Postman writes its own, with the boundary
            request["body"] = {"mode": "formdata", "formdata": [{"key": name, "type": "file", "src": []} for name in fields]}
        else:
            example = node.get("example", {})
            request["body"] = {"mode": "raw", "raw": example if isinstance(example, str) else self.dump(example), "options": {"raw": {"language": "json"}}}
