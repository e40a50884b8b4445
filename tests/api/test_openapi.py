import pytest
from openapi_spec_validator import validate

from tests.api.test_every_route import ENDPOINTS


@pytest.fixture
def document(nobody):
    response = nobody.get("/v1/openapi.json")
    assert response.status_code == 200
    return response.json()


def test_the_document_is_valid_openapi_3_and_made_without_a_warning(document, nobody, capsys):
    nobody.get("/v1/openapi.json")
    assert capsys.readouterr().err == ""
    assert document["openapi"].startswith("3.")
    validate(document)


def test_every_route_is_in_it_and_nothing_else(document):
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    served = {
        (
            method,
            route.replace("(?P<vault_id>[^/]+)", "{vault_id}")
            .replace("<vault_id>", "{vault_id}")
            .replace("<item_id>", "{item_id}")
            .replace("<agent_id>", "{agent_id}")
            .replace(r"(?P<path>[\s\S]*)", "{path}")
            .replace("(?P<number>[^/]*)", "{number}")
            .removesuffix(r"\Z"),
        )
        for route, _, method, _ in ENDPOINTS
        if route != "/v1/openapi.json"
    }
    assert described == served


def test_the_secret_routes_say_what_the_contract_says(document):
    item = document["paths"]["/v1/vaults/{vault_id}/secrets/{path}"]
    put, get = (" ".join(sorted(item[method]["responses"])) for method in ("put", "get"))
    assert put == "201 400 401 403 404 409 412 413 415 422 428 429 500"
    assert get == "200 304 400 401 403 404 410 429 500"
    path = next(p for p in item["put"]["parameters"] if p["name"] == "path")
    assert path["schema"]["maxLength"] == 512
    assert path["schema"]["pattern"].startswith("^[A-Za-z0-9_-]+(")
    for operation in (item["put"], item["get"]):
        assert operation["security"] == [{"bearer": []}]
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"]


def test_the_answer_to_a_write_has_no_value_and_the_answer_to_a_read_has(document):
    schemas = document["components"]["schemas"]
    assert "value" not in schemas["Secret"]["properties"]
    assert schemas["RevealedSecret"]["properties"]["value"]["type"] == "string"
    assert set(schemas["SecretWriteRequest"]["required"]) == {"type", "value"}


def test_what_serializers_do_is_said(document):
    """Each was found by schemathesis (tests/fuzz)."""
    schemas = document["components"]["schemas"]
    listed = document["paths"]["/v1/vaults"]["get"]["responses"]["200"]
    assert listed["content"]["application/json"]["schema"]["$ref"].endswith("/VaultList")
    assert schemas["SecretWriteRequest"]["additionalProperties"] is False
    assert schemas["AgentCreateRequest"]["additionalProperties"] == {"const": False}
    assert "description" not in schemas["Vault"]["required"]
    assert schemas["PatchedAccountUpdateRequest"]["required"] == ["display_name"]
    item = document["paths"]["/v1/vaults/{vault_id}/secrets/{path}"]
    assert set(item["get"]["responses"]["200"]["headers"]) == {"ETag", "Cache-Control"}
    assert "content" not in item["head"]["responses"]["200"]


def test_signing_in_needs_no_security(document):
    assert "security" not in document["paths"]["/v1/auth/token"]["post"]
    assert document["paths"]["/v1/auth/token"]["delete"]["security"] == [{"bearer": []}]


def test_the_documentation_page_loads_from_this_server_alone(nobody):
    import re

    page = nobody.get("/docs").content.decode()
    for link in re.findall(r"""(?:src|href)=["']([^"']+)""", page):
        assert not link.startswith(("http", "//")), link
        if link.startswith("/static/"):
            response = nobody.get(link)
            response.close()
            assert response.status_code == 200, link


def test_every_link_leads_somewhere_with_what_its_answer_has(document):
    operations = {
        each["operationId"]: each for item in document["paths"].values() for each in item.values()
    }
    links = [
        (source, answer, link)
        for source in operations.values()
        for answer in source["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert len(links) > 80
    for source, answer, link in links:
        target = operations[link["operationId"]]
        taken = {f"{each['in']}.{each['name']}" for each in target.get("parameters", ())}
        assert set(link.get("parameters", {})) <= taken, link
        given = {f"$request.{each['in']}.{each['name']}" for each in source.get("parameters", ())}
        given |= {f"$response.header.{name}" for name in answer.get("headers", {})}
        for field in link.get("requestBody", {}):
            body = target["requestBody"]["content"]["application/json"]["schema"]
            assert resolves(document, body, field), link
        for said in [*link.get("parameters", {}).values(), *link.get("requestBody", {}).values()]:
            pointer = said.removeprefix("$response.body#/")
            if pointer == said:
                assert said in given, link
            else:
                schema = answer["content"]["application/json"]["schema"]
                assert resolves(document, schema, pointer), link


def resolves(document, schema, pointer):
    """Whether a schema has a place for what a JSON pointer (RFC 6901) names."""
    for name in pointer.split("/"):
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if "oneOf" in schema:
            schema = next(each for each in schema["oneOf"] if resolves(document, each, name))
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        schema = schema.get("items") if name.isdigit() else schema.get("properties", {}).get(name)
        if schema is None:
            return False
    return True


def test_operation_ids_are_names(document):
    """Generated clients make methods of them."""
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["operationId"].isidentifier()
