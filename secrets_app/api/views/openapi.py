from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework.permissions import AllowAny


class OpenApiView(SpectacularJSONAPIView):
    """The document of this app's routes alone, whatever else the host project serves."""

    urlconf = "secrets_app.api.urls"
    schema = None
    authentication_classes = ()
    permission_classes = (AllowAny,)
