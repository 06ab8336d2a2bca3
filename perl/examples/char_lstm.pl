#!/usr/bin/env perl
# Learns to write from a text, character by character: perl char_lstm.pl [epochs [text]]
# Without a text it reads what every Perl brings: the explanations of its error messages (perldiag).
use 5.014;
use strict;
use warnings;
use Config;
use FindBin;
use lib "$FindBin::Bin/lib";
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use Example::Progress qw(bar finish_line);
use List::Util qw(first);
use Time::HiRes qw(time);

use constant { BATCH => 20, STEPS => 50, HIDDEN => 160, SAMPLE => 400 };

{

    package Writer;
    use AI::MXNet::Gluon::Mouse;
    extends 'AI::MXNet::Gluon::Block';
    has 'symbols' => (is => 'ro', required => 1);

    sub BUILD
    {
        my $self = shift;
        $self->name_scope(
            sub {
                $self->embedding(AI::MXNet::Gluon::NN->Embedding($self->symbols, 32));
                $self->lstm(AI::MXNet::Gluon::RNN->LSTM(main::HIDDEN, num_layers => 2, input_size => 32));
                $self->out(AI::MXNet::Gluon::NN->Dense($self->symbols, in_units => main::HIDDEN));
            }
        );
        return;
    }

   # Numbers of characters (time, batch) and the states of the cells; scores of the next characters, and the new states.
    sub forward
    {
        my ($self, $characters, $states) = @_;
        my ($hidden, $new) = @{ $self->lstm->($self->embedding->($characters), $states) };
        return ($self->out->($hidden->reshape([-1, main::HIDDEN])), $new);
    }
}

my ($epochs, $file) = @ARGV;
$file //= first { -e } map { "$Config{$_}/pod/perldiag.pod" } qw(privlibexp archlibexp);
die "There is no perldiag.pod here; name a text: perl char_lstm.pl 3 book.txt\n" if not defined $file;
mx->random->seed(1);
srand 1;

my $text = do { open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n"; local $/ = undef; <$in> };
my %seen;
$seen{$_}++ for split //, $text;
my @symbols = sort grep { $seen{$_} > 3 } keys %seen;    # the rare ones are left out
my %number = map { $symbols[$_] => $_ } 0 .. $#symbols;
my @numbers = map { $number{$_} // () } split //, $text;
printf "%s: %d characters, %d different ones\n", $file =~ s{.*/}{}r, scalar @numbers, scalar @symbols;

# The text in as many columns as a batch has rows, each of which is read from top to bottom.
my $length = int((@numbers - 1) / BATCH);
my $columns = nd->array([@numbers[0 .. $length * BATCH - 1]], dtype => 'float32')->reshape([BATCH, $length])->T;
my $follow = nd->array([@numbers[1 .. $length * BATCH]], dtype => 'float32')->reshape([BATCH, $length])->T;

my $net = Writer->new(symbols => scalar @symbols);
$net->initialize(mx->init->Xavier);
my $trainer = gluon->Trainer($net->collect_params, 'adam', { learning_rate => 4e-3, clip_gradient => 1 });
my $loss_of = gluon->loss->SoftmaxCrossEntropyLoss();
my $per_epoch = int($length / STEPS);

for my $epoch (1 .. $epochs // 4) {
    my $states = $net->lstm->begin_state(BATCH);
    my ($sum, $start) = (0, time);
    for my $i (0 .. $per_epoch - 1) {
        my @rows = ([$i * STEPS, ($i + 1) * STEPS - 1]);
        my ($loss, $scores);
        $_ = $_->detach for @$states;    # gradients go back as far as this batch
        autograd->record(
            sub {
                ($scores, $states) = $net->($columns->slice(@rows), $states);
                $loss = $loss_of->($scores, $follow->slice(@rows)->reshape([-1]))->mean;
            }
        );
        $loss->backward;
        $trainer->step(1);
        $sum += $loss->asscalar;
        bar($i + 1, $per_epoch, sprintf 'epoch %d  %.3f bits a character', $epoch, $sum / ($i + 1) / log 2)
            if not $i % 5;
    }
    finish_line(
        sprintf 'epoch %d  %.3f bits a character  %.0f characters/s',
        $epoch,
        $sum / $per_epoch / log 2,
        $per_epoch * STEPS * BATCH / (time - $start)
    );
}

# One character after another, drawn by what the network thinks of each; below 1 the temperature prefers the likely ones.
sub sample
{
    my ($begin, $temperature) = @_;
    my $states = $net->lstm->begin_state(1);
    my ($written, $scores) = ($begin);
    for my $character (split //, $begin) {
        ($scores, $states) = $net->(nd->array([[$number{$character}]]), $states);
    }
    for (1 .. SAMPLE) {
        my $drawn = nd->random->multinomial(nd->softmax($scores / $temperature))->asscalar;
        $written .= $symbols[$drawn];
        ($scores, $states) = $net->(nd->array([[$drawn]]), $states);
    }
    return $written;
}

binmode STDOUT, ':encoding(UTF-8)';
print "\n", sample("=item ", 0.6), "\n";
