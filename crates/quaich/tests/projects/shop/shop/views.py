import hashlib

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt

BLOCK = bytes(range(256)) * 256
BLOCKS = 320


def home(request):
    return HttpResponse("the shop is open")


def count(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return JsonResponse({"count": request.session["count"]})


@csrf_exempt
def upload(request):
    digest, size = hashlib.sha256(), 0
    for block in request.FILES["file"].chunks():
        digest.update(block)
        size += len(block)
    return JsonResponse({"size": size, "sha256": digest.hexdigest()})


def download(request):
    return StreamingHttpResponse((BLOCK for _ in range(BLOCKS)), content_type="application/octet-stream")


def link(request):
    return HttpResponse(request.build_absolute_uri(reverse(count)))
