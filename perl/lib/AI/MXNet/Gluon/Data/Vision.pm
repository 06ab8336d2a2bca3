package AI::MXNet::Gluon::Data::Vision;
use 5.014;
use strict;
use warnings;
use AI::MXNet::NS;
use AI::MXNet::Gluon::Data::Set;
use AI::MXNet::Gluon::Data::Vision::Downloaded;
use AI::MXNet::Gluon::Data::Vision::Folders;

sub transforms
{
    require AI::MXNet::Gluon::Data::Vision::Transforms;
    return 'AI::MXNet::Gluon::Data::Vision::Transforms';
}

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Data::Vision - data sets of pictures

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $root = "$ENV{HOME}/.mxnet/datasets/mnist";
    if (-e "$root/train-images-idx3-ubyte.gz") {
        my $train = gluon->data->vision->MNIST($root);
        my $scaled = $train->transform_first(sub { $_[0]->astype('float32') / 255 });
        my $loader = gluon->data->DataLoader($scaled, batch_size => 100, shuffle => 1, num_workers => 2);
        printf "%d batches of %s\n", $loader->len, (<$loader>)->[0];
    }

=head1 DESCRIPTION

=over 4

=item MNIST($root = '~/.mxnet/datasets/mnist', $train = 1, $transform), FashionMNIST

C<data> is uint8 of 28x28x1 pixels, C<label> a PDL.

=item CIFAR10($root, $train, $transform), CIFAR100($root, $fine_label = 0, $train, $transform)

The same of 32x32x3.

=item ImageRecordDataset($file, $flag = 1, $transform)

Pictures from an indexed file of records, with the labels of their headers.

=item ImageFolderDataset($root, $flag = 1, $transform)

JPEG and PNG files in folders, the names of which are C<synsets>, in their order the labels. C<items> are files and labels.

=back

C<transform> is called with picture and label and returns both. With C<$flag> 0 pictures are grey.

Files are looked for in C<$root>, and fetched if they are missing. A file with another checksum than the published one is used, with a
warning. F<*-ubyte> files may be compressed or not.

Transforms: L<AI::MXNet::Gluon::Data::Vision::Transforms>.

=cut
