from django.contrib import admin
from django.urls import path

from . import views

urlpatterns = [
    path("", views.home),
    path("admin/", admin.site.urls),
    path("count/", views.count),
    path("upload/", views.upload),
    path("download/", views.download),
    path("link/", views.link),
]
