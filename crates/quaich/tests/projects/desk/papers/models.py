from django.db import models


class Paper(models.Model):
    title = models.CharField(max_length=100)
    file = models.FileField(upload_to="papers")

    def __str__(self):
        return self.title
