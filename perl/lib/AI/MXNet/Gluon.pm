package AI::MXNet::Gluon;
use 5.014;
use strict;
use warnings;
use AI::MXNet;
use AI::MXNet::NS 'global';
use AI::MXNet::Gluon::Parameter;
use AI::MXNet::Gluon::ParameterDict;
use AI::MXNet::Gluon::Block;
use AI::MXNet::Gluon::HybridBlock;
use AI::MXNet::Gluon::SymbolBlock;
use AI::MXNet::Gluon::Trainer;
use AI::MXNet::Gluon::Utils;
use AI::MXNet::Gluon::Loss;
use AI::MXNet::Gluon::NN;
use AI::MXNet::Gluon::RNN;

sub nn { return 'AI::MXNet::Gluon::NN' }
sub rnn { return 'AI::MXNet::Gluon::RNN' }
sub loss { return 'AI::MXNet::Gluon::Loss' }
sub utils { return 'AI::MXNet::Gluon::Utils' }
sub data { require AI::MXNet::Gluon::Data; return 'AI::MXNet::Gluon::Data' }
sub model_zoo { require AI::MXNet::Gluon::ModelZoo; return 'AI::MXNet::Gluon::ModelZoo' }

1;

__END__

=head1 NAME

AI::MXNet::Gluon - networks made of blocks, and their training

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $net = nn->Sequential;
    $net->add(nn->Dense(8, activation => 'tanh', in_units => 1), nn->Dense(1, in_units => 8));
    $net->initialize(mx->init->Uniform(0.5));
    my $x = nd->array([map { [$_ / 10] } -10 .. 10]);
    my $y = $x * $x;
    my $trainer = gluon->Trainer($net->collect_params, 'adam', { learning_rate => 0.05 });
    my $loss = gluon->loss->L2Loss();
    for my $epoch (1 .. 20) {
        my $error;
        autograd->record(sub { $error = $loss->($net->($x), $y) });
        $error->backward;
        $trainer->step($x->len);
        printf "%d %.4f\n", $epoch, $error->mean->asscalar if $epoch % 5 == 0;
    }

=head1 DESCRIPTION

    gluon->Block, HybridBlock, SymbolBlock    AI::MXNet::Gluon::Block and its kin
    gluon->Parameter, ParameterDict           AI::MXNet::Gluon::Parameter
    gluon->Trainer                            AI::MXNet::Gluon::Trainer
    gluon->nn                                 AI::MXNet::Gluon::NN, layers
    gluon->rnn                                AI::MXNet::Gluon::RNN, recurrent cells and layers
    gluon->loss                               AI::MXNet::Gluon::Loss
    gluon->data                               AI::MXNet::Gluon::Data, datasets and loaders
    gluon->utils                              AI::MXNet::Gluon::Utils
    gluon->model_zoo                          AI::MXNet::Gluon::ModelZoo

C<gluon>, C<nn> and C<rnn> are class names everywhere once this module is loaded.

=cut
