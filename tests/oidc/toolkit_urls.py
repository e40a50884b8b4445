"""URLs and claims of the provider in `toolkit`."""

import json
import os
from pathlib import Path
from typing import Any

from django.contrib.auth.views import LoginView
from django.urls import include, path
from oauth2_provider.oauth2_validators import OAuth2Validator


class Validator(OAuth2Validator):
    oidc_claim_scope = None

    def get_additional_claims(self, request: Any) -> dict[str, Any]:
        people = json.loads(Path(os.environ["PEOPLE"]).read_text())
        claims: dict[str, Any] = people.get(request.user.username, {})
        return {"sub": f"subject-of-{request.user.username}"} | claims


urlpatterns = [
    path("login/", LoginView.as_view()),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
]
