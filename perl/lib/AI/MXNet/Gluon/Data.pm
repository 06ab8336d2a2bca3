package AI::MXNet::Gluon::Data;
use 5.014;
use strict;
use warnings;
use AI::MXNet::NS;
use AI::MXNet::Gluon::Data::Set;
use AI::MXNet::Gluon::Data::Sampler;
use AI::MXNet::Gluon::Data::Loader;

sub vision { require AI::MXNet::Gluon::Data::Vision; return 'AI::MXNet::Gluon::Data::Vision' }

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Data - data sets, samplers and loaders

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $set = gluon->data->ArrayDataset(nd->arange(stop => 20)->reshape([10, 2]), nd->arange(stop => 10));
    my $loader = gluon->data->DataLoader($set, batch_size => 4, shuffle => 1);
    for my $epoch (1 .. 2) {
        while (defined(my $batch = <$loader>)) {
            my ($data, $label) = @$batch;
            print "@{ $data->shape } @{[ $label->aspdl->list ]}\n";
        }
    }

=head1 DESCRIPTION

    gluon->data->ArrayDataset, SimpleDataset, RecordFileSet     AI::MXNet::Gluon::Data::Set
    gluon->data->SequentialSampler, RandomSampler, BatchSampler AI::MXNet::Gluon::Data::Sampler
    gluon->data->DataLoader                                     AI::MXNet::Gluon::Data::Loader
    gluon->data->vision                                         AI::MXNet::Gluon::Data::Vision

=cut
