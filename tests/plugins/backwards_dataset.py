from vpbench.data.folder.dataset import FolderDataset


class Backwards(FolderDataset):
    def clips(self, split):
        return list(super().clips(split))[::-1]
