"""The pages of accounts that there are. Django-allauth has more; none of those is answered.

Names are the library's, since it goes by them.
"""

from allauth.account.views import account_inactive, logout
from django.urls import path
from django.views.decorators.cache import never_cache

from vaultsite.accounts import factor_pages as pages
from vaultsite.accounts import views
from vaultsite.accounts.invitation_page import invitation
from vaultsite.accounts.password import OwnPasswordView
from vaultsite.accounts.session_page import sessions

urlpatterns = [
    path("", pages.account, name="account"),
    path("login/", views.SignIn.as_view(), name="account_login"),
    path("logout/", logout, name="account_logout"),
    path("inactive/", account_inactive, name="account_inactive"),
    path("reauthenticate/", views.PasswordAgain.as_view(), name="account_reauthenticate"),
    path("password/", OwnPasswordView.as_view(), name="account_change_password"),
    path("invitations/<str:token>/", invitation, name="invitation"),
    path("sessions/", sessions, name="usersessions_list"),
    path("2fa/", pages.index, name="mfa_index"),
    path("2fa/authenticate/", views.SecondStep.as_view(), name="mfa_authenticate"),
    path("2fa/reauthenticate/", views.CodeAgain.as_view(), name="mfa_reauthenticate"),
    path("2fa/app/", pages.add_app, name="mfa_activate_totp"),
    path("2fa/<int:factor_id>/remove/", pages.remove_factor, name="mfa_remove"),
    path("2fa/recovery-codes/", pages.recovery_codes, name="mfa_view_recovery_codes"),
    path("2fa/recovery-codes/new/", pages.renew_recovery_codes, name="mfa_generate_recovery_codes"),
    path("2fa/passkeys/add/", pages.add_passkey, name="mfa_add_webauthn"),
    path("2fa/passkeys/login/", views.PasskeySignIn.as_view(), name="mfa_login_webauthn"),
    path(
        "2fa/passkeys/reauthenticate/",
        views.PasskeyAgain.as_view(),
        name="mfa_reauthenticate_webauthn",
    ),
]
# They show secrets once, and who somebody is.
for each in urlpatterns:
    each.callback = never_cache(each.callback)
